"""Pictures: live plots and the report."""
