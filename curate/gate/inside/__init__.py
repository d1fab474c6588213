"""What runs inside the sandbox: the walls, the two sides of a test, and the values that cross between them."""
