"""Other libraries' names and conventions over ours."""
