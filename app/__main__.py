"""`python -m app` is `brushedit`."""

from app.cli import main

main()
