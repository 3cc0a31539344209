"""The pages of pipelines and action batches."""
