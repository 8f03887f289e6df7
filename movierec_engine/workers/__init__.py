"""Teams of workers: objects of one class, each in a process of its own, on this machine or on Ray."""
