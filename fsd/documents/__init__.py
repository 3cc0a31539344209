"""Requests and answers of the engine's API, as pydantic models."""
