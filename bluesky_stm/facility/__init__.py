"""The package inside a facility."""
