"""What tests of Tailrace, of its plug-ins and of programs that use it are made with.

Nothing here needs pytest, and nothing in Tailrace itself imports it. Import from the modules:

=====================  =========================================================================
``upstream``           ``ScriptedUpstream``: a model API that does exactly what a test says
``threaded``           ``ThreadedUpstream``: the same one in a thread, for tests without asyncio
``script``             the steps that a script is made of
``chunks``             realistic chat completion events
``completion_chunks``  … of text completions
``response_events``    … of the Responses API
``message_events``     … of Anthropic's Messages API
``apis``               what an answer of each of these is made of
``faults``             ``FAULTS``: ready-made scripts of everything that goes wrong
``recorded``           ``RECORDED``: whole answers, byte for byte, odd ones among them
=====================  =========================================================================
"""
