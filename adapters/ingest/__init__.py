"""UA_1: from a scraped folder to stored and described nodes."""
