"""Items spread over the machines of a Ray cluster.

    actor       what lives on its nodes
    crew        the actors at work, as the driver sees them
    executor    the connection, and what each worker shall have
"""
