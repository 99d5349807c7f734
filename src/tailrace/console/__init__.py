"""What the page is served from, and what it follows."""
