"""The application: command line, HTTP, sessions, jobs and storage around the core."""

__version__ = "0.1.0"
