module tailrace.test/article

go 1.19
