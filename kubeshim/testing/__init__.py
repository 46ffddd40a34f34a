"""What users need to test against kubeshim. (The pytest plugin comes later.)"""
