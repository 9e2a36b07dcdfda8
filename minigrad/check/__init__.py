"""Is this gradient right, and if not, where and how is it wrong?"""
