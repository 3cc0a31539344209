"""Action contracts: the document, its rules, its templates, pipelines."""
