-- SVG and HEIC files can be drawn from now on: what failed to be identified is tried once more.
DELETE FROM thumbnail WHERE reason LIKE 'UnidentifiedImageError%';
