"""What browsers and OSCQuery clients see."""
