"""The ranking service: in which order does this shopper see these products?"""
