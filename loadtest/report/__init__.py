"""What a run leaves behind for whoever looks at it: result.json, junit.xml and the page made of them."""
