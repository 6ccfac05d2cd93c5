"""What every store and every service must do, as suites of tests to inherit from."""
