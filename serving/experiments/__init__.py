"""Who is served how: experiments in layers, and the arm that a shopper falls into."""
