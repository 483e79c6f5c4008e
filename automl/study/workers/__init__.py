"""The processes that search one study together: started, watched, replaced, and agreed on who does what."""
