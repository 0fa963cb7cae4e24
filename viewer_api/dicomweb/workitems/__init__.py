"""UPS-RS (PS3.18 section 11): workitems, subscriptions, and the lines on which events are heard."""
