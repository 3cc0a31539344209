"""The formats of scraped folders, a folder for each platform."""
