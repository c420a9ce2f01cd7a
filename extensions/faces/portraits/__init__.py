"""Portraits that move, by LivePortrait's networks as a person supplies them: faces turned, lips and lids opened and
closed, by implicit key points (Guo et al. 2024).
"""
