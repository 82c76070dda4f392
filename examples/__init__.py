"""Clips, scores and prepared messages that ship with Segue; the files beside this one are complete programs."""
