"""One environment: headwaterd with everything in it.

Modules: ``config`` (what the command line decides), ``assemble`` (the one place that makes objects
and joins them), ``server`` (start, run, stop).
"""
