"""How long reading takes: opening, correcting, the worklist, and how many actions a full read needs."""
