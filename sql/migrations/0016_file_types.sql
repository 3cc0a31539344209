-- Files that no program of ours looks into are nodes as well, where a record describes them or they lie in
-- a scrape: what they are is `unknown`. Extensions that a database was given by hand keep their type.
ALTER TABLE file_type DROP CONSTRAINT file_type_type_check;
ALTER TABLE file_type ADD CONSTRAINT file_type_type_check CHECK (type IN ('image', 'video', 'sound', 'text', 'unknown'));
COMMENT ON TABLE file_type IS '03: the file extensions that may be physical content; all others are quarantined';
COMMENT ON COLUMN file_type.type IS 'image, video, sound or text; unknown for what is none of them';

INSERT INTO file_type (file_extension, type)
SELECT extension, type
FROM (VALUES
    ('image', 'psb tga pcx exr hdr dds ppm pgm pbm pnm jpf jpx j2k rwl srw pef x3f erf kdc'),
    ('video', 'm4s f4v rm rmvb vob asf divx mxf 3g2 m2v'),
    ('sound', 'm4b ape wv mka ac3 dts dsf dff caf au spx mpc tta'),
    ('text', 'lrc sub ssa sbv ttml vcf ics tex bib'),
    ('unknown', 'zip rar 7z cbz cbr cb7 epub mobi azw3 djvu swf ugoira stl obj glb gltf fbx blend 3mf ply doc docx odt xls xlsx ods ppt pptx odp rtf ai eps clip kra xcf sai procreate sketch ttf otf woff woff2 sf2 torrent')
) AS seeds (type, extensions)
CROSS JOIN LATERAL unnest(string_to_array(extensions, ' ')) AS extension
ON CONFLICT (file_extension) DO NOTHING;
