"""
What the routes say of themselves, and the document made of it.

    operation.py    a route with everything a caller has to know of it
    refusals.py     refusals as answers of a route
    document.py     all routes → OpenAPI 3.1, the body of GET /openapi.json
    assets.py       what the page at /docs loads, from a wheel; nothing comes from another host
"""
