"""The application: command line, HTTP, sessions, jobs and storage around the core."""
