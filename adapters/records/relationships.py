"""The meanings of edges that adapters make: it owns the words and which of them form trees.

All belong to action 0 (UA_1). Parent first: `authored` leads from the author to the post. Edges
that form trees define root, depth and component of a node, and datasets never split a component;
associations connect what would otherwise weld half of the database together.
"""

from __future__ import annotations

FORMS_TREE = {
    "contains": True,  # a post or page contains media; an album of one post its pictures
    "variant": True,  # another size or encoding of the same picture or video
    "thumbnail": True,  # a preview of its parent
    "attachment": True,  # a file beside the main content: subtitles, annotations, an archive
    "attached": True,  # an object that a program sent -> a file that it names
    "authored": False,  # author -> what they made
    "credited": False,  # artist, speaker, uploader beside the author -> the work
    "member": False,  # channel, subreddit, playlist, group, set, site -> what is in it
    "conversation": False,  # conversation or thread -> posts in it
    "reply": False,  # what is answered -> the answer; a post -> its comment
    "repost": False,  # the original -> the repost
    "quote": False,  # what is quoted -> the post that quotes it
    "tagged": False,  # tag, hashtag or category -> what carries it
    "mentioned": False,  # post -> the person it mentions
    "linked": False,  # post -> a page it links to
    "revision": False,  # an older version of a post -> the next one
    "follows": False,  # a person -> whom they follow
    "alias": False,  # node known by a stable id -> the name under which others know it
    "record": False,  # node -> the complete record it was read from
}
