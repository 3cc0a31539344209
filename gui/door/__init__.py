"""The process of the public port: operations, probes and metrics, and the way on to the pages."""
