module tailrace/bench/load

go 1.19
