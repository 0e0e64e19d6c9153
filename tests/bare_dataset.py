"""The smallest dataset file, for tests of a part that is put behind it."""

BARE = """
name: bare
events: {path: e.csv, columns: {label: y}}
actions: {click: {label: 1}}
candidates: {from: rows}
windows: {by: hash}
features: [{name: amount, kind: number, side: item, source: events}]
"""
