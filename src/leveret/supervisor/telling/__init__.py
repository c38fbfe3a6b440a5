"""What a node tells others of itself: worker events, metrics, whether it is healthy. Nothing here decides anything."""
