"""Edits as durable jobs: accepted, queued, carried out stage by stage, followed, settled."""
