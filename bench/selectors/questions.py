"""The ten questions of `bench.selectors`: it owns each as a selector and as hand-written SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Question:
    """One question; both ways must find the same nodes and bytes."""

    name: str
    reads: Literal["sum", "rows"]
    selector: str
    sql: str


POST = "A_POST"
"""Stands for the number of some post, which depends on how many nodes there are."""

_SHOWN = "NOT content.is_delete AND NOT content.in_black_list"
_CONTAINS = "(SELECT relationship_id FROM relationship WHERE description = 'contains')"
_AUTHORED = "(SELECT relationship_id FROM relationship WHERE description = 'authored')"
_OF_TYPE = "(SELECT file_extension_id FROM file_type WHERE type ="
_BATCH = "(SELECT ingest_batch_id FROM ingest_batch WHERE name = 'batch-7')"

QUESTIONS = (
    Question(
        "large images and films",
        "sum",
        """
        version: 1
        where: {extension: [png, mp4], size_bytes: {min: 1000000}}
        """,
        f"""
        SELECT count(*), sum(file_size_bytes)
        FROM physical_content AS content JOIN file_type USING (file_extension_id)
        WHERE file_extension IN ('png', 'mp4') AND file_size_bytes >= 1000000 AND {_SHOWN}
        """,
    ),
    Question(
        "everything of the most prolific author",
        "rows",
        """
        version: 1
        where:
          is_physical: true
          ancestor:
            within: 3
            relationship: [authored, contains, crop]
            where: {description: "beta:user:1"}
        """,
        f"""
        WITH author AS (
            SELECT node_id FROM node WHERE sha256 = sha256('beta:user:1')
        ), post AS (
            SELECT child_node_id AS node_id FROM author JOIN edge ON parent_node_id = node_id
        ), file AS (
            SELECT child_node_id AS node_id FROM post JOIN edge ON parent_node_id = node_id
        ), crop AS (
            SELECT child_node_id AS node_id FROM file JOIN edge ON parent_node_id = node_id
        )
        SELECT node.node_id, sha256, file_size_bytes, file_extension_id
        FROM (SELECT * FROM file UNION SELECT * FROM crop) AS found
        JOIN node USING (node_id) JOIN physical_content AS content USING (node_id)
        WHERE {_SHOWN}
        """,
    ),
    Question(
        "files of much seen posts of one month",
        "sum",
        """
        version: 1
        where:
          media_type: image
          parent:
            relationship: contains
            where:
              metadata:
                source: beta
                update_time: {since: 2024-03-01, before: 2024-04-01}
                view: {min: 10000}
        """,
        f"""
        SELECT count(*), sum(file_size_bytes)
        FROM (
            SELECT DISTINCT child_node_id AS node_id
            FROM common_metadata AS said JOIN edge ON parent_node_id = said.node_id
            WHERE said.source_id = (SELECT source_id FROM source WHERE description = 'beta')
                AND update_time >= '2024-03-01Z' AND update_time < '2024-04-01Z' AND view >= 10000
                AND relationship_id = {_CONTAINS}
        ) AS found
        JOIN physical_content AS content USING (node_id)
        WHERE file_extension_id IN {_OF_TYPE} 'image')
            AND {_SHOWN}
        """,
    ),
    Question(
        "crops in trees whose root is about cats",
        "sum",
        """
        version: 1
        where:
          depth: 2
          size_bytes: {min: 0}
          tree_root: {where: {metadata: {title: {contains: CATS}}}}
        """,
        f"""
        SELECT count(*), sum(file_size_bytes)
        FROM node JOIN physical_content AS content USING (node_id)
        WHERE depth = 2 AND {_SHOWN} AND EXISTS (
            SELECT FROM common_metadata AS said
            WHERE said.node_id = node.root_id AND title ILIKE '%cats%'
        )
        """,
    ),
    Question(
        "the tree of one file",
        "rows",
        """
        version: 1
        where: {same_tree: {where: {description: "beta:post:A_POST"}}}
        """,
        """
        SELECT node.node_id, sha256, file_size_bytes, file_extension_id
        FROM node LEFT JOIN physical_content AS content USING (node_id)
        WHERE root_id = (
                SELECT root_id FROM node WHERE sha256 = sha256('beta:post:A_POST')
            ) AND is_delete IS NOT TRUE AND in_black_list IS NOT TRUE
        """,
    ),
    Question(
        "images for which an action is not done",
        "sum",
        """
        version: 1
        where: {media_type: image, action: {name: ocr, done: false}}
        """,
        f"""
        SELECT count(*), sum(file_size_bytes)
        FROM physical_content AS content JOIN file_type USING (file_extension_id)
        WHERE type = 'image' AND {_SHOWN} AND NOT EXISTS (
            SELECT FROM action_batch_node AS member
            WHERE member.node_id = content.node_id AND action_batch_id IN (
                SELECT action_batch_id FROM action_event WHERE action_id = 10 AND status = 'done'
            )
        )
        """,
    ),
    Question(
        "authors of whom a file was deleted",
        "rows",
        """
        version: 1
        include_deleted: true
        where:
          child:
            relationship: authored
            where: {child: {relationship: contains, where: {is_deleted: true}}}
        """,
        f"""
        SELECT node.node_id, sha256, file_size_bytes, file_extension_id
        FROM (
            SELECT DISTINCT upper.parent_node_id AS node_id
            FROM physical_content AS content
            JOIN edge AS lower ON lower.child_node_id = content.node_id
            JOIN edge AS upper ON upper.child_node_id = lower.parent_node_id
            WHERE content.is_delete
                AND lower.relationship_id = {_CONTAINS}
                AND upper.relationship_id = {_AUTHORED}
        ) AS author
        JOIN node USING (node_id)
        LEFT JOIN physical_content AS content ON content.node_id = node.node_id
        WHERE in_black_list IS NOT TRUE
        """,
    ),
    Question(
        "much liked posts that contain a film",
        "rows",
        """
        version: 1
        where:
          source_metadata: {source: beta, columns: {likes: {min: 30000}}}
          child: {relationship: contains, where: {media_type: video}}
        """,
        f"""
        SELECT node.node_id, sha256, NULL::bigint, NULL::smallint
        FROM node
        JOIN (SELECT DISTINCT node_id FROM meta_beta WHERE likes >= 30000) AS liked USING (node_id)
        WHERE EXISTS (
            SELECT FROM edge JOIN physical_content AS film ON film.node_id = child_node_id
            WHERE parent_node_id = liked.node_id
                AND relationship_id = {_CONTAINS}
                AND film.file_extension_id IN {_OF_TYPE} 'video')
        )
        """,
    ),
    Question(
        "of one author, or in a batch and large",
        "rows",
        """
        version: 1
        where:
          is_physical: true
          any:
            - ancestor:
                within: 2
                relationship: [authored, contains]
                where: {description: "beta:user:2"}
            - ingest_batch: batch-7
              size_bytes: {min: 5000000}
        """,
        f"""
        SELECT node.node_id, sha256, file_size_bytes, file_extension_id
        FROM (
            SELECT lower.child_node_id AS node_id
            FROM node AS author
            JOIN edge AS upper ON upper.parent_node_id = author.node_id
            JOIN edge AS lower ON lower.parent_node_id = upper.child_node_id
            WHERE author.sha256 = sha256('beta:user:2')
            UNION
            SELECT node_id
            FROM ingest_batch_node JOIN physical_content USING (node_id)
            WHERE ingest_batch_id = {_BATCH}
                AND file_size_bytes >= 5000000
        ) AS found
        JOIN node USING (node_id) JOIN physical_content AS content USING (node_id)
        WHERE {_SHOWN}
        """,
    ),
    Question(
        "a sample of 1,000 small images",
        "rows",
        """
        version: 1
        where: {media_type: image, size_bytes: {max: 20000}}
        sample: {count: 1000, seed: 7}
        """,
        f"""
        SELECT node.node_id, sha256, file_size_bytes, file_extension_id
        FROM node JOIN physical_content AS content USING (node_id)
            JOIN file_type USING (file_extension_id)
        WHERE type = 'image' AND file_size_bytes <= 20000 AND {_SHOWN}
        ORDER BY sha256('7:'::bytea || sha256), node_id
        LIMIT 1000
        """,
    ),
)
