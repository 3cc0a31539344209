"""The declared metadata of each source: one module per platform, one table `meta_<platform>`.

A platform that several formats describe (an API response, a scraper's sidecar) has one table, so
that a question does not depend on who scraped. Columns hold what is worth asking for; the complete
record is an object in the store. Unknown is NULL.
"""
