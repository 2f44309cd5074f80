"""Path-traced furnished rooms with exact depth: what `scripts/render_rooms.py` is made of.

A room is drawn by numbers alone and rendered last, so all but the last step can be tested without a renderer:

    boxes, surfaces, textures          space that is taken, meshes, materials (no renderer, as in all but the last two lines)
    floor_plan                         rooms, pillars, doors, windows, a doorway to a second room
    catalogue, furnish, made           models from a file, what stands where, furniture drawn by code
    building, decorate, lights         the shell, what hangs on it, lamps and the mood
    camera, develop, files             views and depth, tone and millimetres, names and what is done
    scene                              all of it, as a function of seed and number
    trace                              mitsuba and OIDN, the only module with them
    work                               one room after another, in processes

Axes: x right, y up, z towards the viewer of a plan, all in metres; the floor is y = 0. Each part of a room has its own
keyed stream of chance (`scene.stream`), so a room depends on nothing but the seed, its number, the furniture and the panoramas.
"""
