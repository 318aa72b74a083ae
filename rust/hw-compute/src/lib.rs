//! Dataflows: rendering, arrangements, peeks, subscriptions and the worker loop.
