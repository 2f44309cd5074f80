"""Rendering of a scene with mitsuba and the OIDN denoiser: the only module that imports them.

Pictures: mitsuba's path tracer in its `scalar_rgb` variant (no compiler, no GPU), few samples for each pixel, then OIDN with
albedo and normals as guides. Box filter: OIDN takes the spread of a wider one for detail and keeps the noise. Depth: where the ray
through the middle of each pixel ends, so it is exact, and no edge is off by more than half a pixel.

What costs time (one core): 5 microseconds for a path; mitsuba's `aov` integrator takes longer than that for each sample, the more so the
more meshes there are. So it runs with one sample only, meshes are merged by material, and depth comes from the `depth` integrator.
"""

import os

import numpy as np

from fgbg_depth.errors import UsageError

from .camera import planar_depth
from .furnish import MADE
from .made import rotation
from .surfaces import merge

VARIANT = "scalar_rgb"
MAX_BOUNCES = 4  # segments of a path; more lighten corners by little
PROBE_PX = 28  # side of the coarse depth map that decides whether a view is worth it
NEAR_CLIP_M, FAR_CLIP_M = 0.02, 100.0
ALBEDO_LIMIT = 0.9  # nothing reflects more
CENTRE = {"type": "stratified", "sample_count": 1, "jitter": False}  # one ray through the middle of each pixel
HOW_TO_INSTALL = "pip install 'fgbg-depth[rooms]' (mitsuba and pyoidn, about 400 MB on disk)"


class Tracer:
    """mitsuba, set up for one thread, with the meshes of a catalogue."""

    def __init__(self, catalogue, size_px, samples):
        """Args: catalogue: catalogue.Catalogue; size_px: side of the pictures; samples: for each pixel."""
        # Both libraries start as many threads as there are cores; processes do better (--jobs).
        os.environ.setdefault("OIDN_NUM_THREADS", "1")
        os.environ.setdefault("OIDN_SET_AFFINITY", "0")
        try:
            import drjit
            import mitsuba
            import pyoidn
        except ImportError as error:
            raise UsageError(f"rendering rooms needs mitsuba and pyoidn ({error}); {HOW_TO_INSTALL}") from error
        mitsuba.set_variant(VARIANT)
        drjit.set_thread_count(1)
        mitsuba.Thread.thread().logger().set_log_level(mitsuba.LogLevel.Error)
        self._mi, self._denoise = mitsuba, pyoidn.denoise
        self._catalogue, self._size_px, self._samples = catalogue, size_px, samples
        self._path = mitsuba.load_dict({"type": "path", "max_depth": MAX_BOUNCES})
        self._guides = mitsuba.load_dict({"type": "aov", "aovs": "al:albedo,nn:sh_normal"})
        self._distance = mitsuba.load_dict({"type": "depth"})

    def load(self, scene, r):
        """Hand a scene to mitsuba. Args: scene: scene.Scene; r: numpy Generator of furniture's colours. Returns its handle."""
        parts, materials = {"type": "scene"}, {}
        for k, surface in enumerate(merge(scene.surfaces)):
            shared = materials.get(id(surface.material))
            if shared is None:
                shared = materials[id(surface.material)] = self._bsdf(surface.material)
            parts[f"surface{k}"] = self._mesh(surface, shared)
        for k, piece in enumerate(scene.pieces):
            if piece.name not in MADE:
                for i, mesh in enumerate(self._model(piece, r)):
                    parts[f"piece{k}_{i}"] = mesh
        return self._mi.load_dict(parts)

    def probe(self, loaded, view):
        """Coarse depth map of a view, (PROBE_PX, PROBE_PX) float64 [m]."""
        return self.depth(loaded, view, PROBE_PX)

    def depth(self, loaded, view, size_px=None):
        """Depth through the middle of each pixel, (size, size) float64 [m]."""
        size_px = size_px or self._size_px
        layers = self._mi.render(loaded, sensor=self._sensor(view, size_px, CENTRE), integrator=self._distance, spp=1)
        # mitsuba counts from the near plane, which is NEAR_CLIP_M deep everywhere. A ray that leaves the scene gives 0.
        distance = np.array(layers, np.float64)[..., 0]
        return np.where(distance > 0, planar_depth(distance, view.fov) + NEAR_CLIP_M, np.inf)

    def picture(self, loaded, view, seed):
        """Denoised light of a view, (size, size, 3) float32 linear RGB."""
        sensor = self._sensor(view, self._size_px, {"type": "independent", "sample_count": self._samples})
        light = _clean(self._mi.render(loaded, sensor=sensor, integrator=self._path, spp=self._samples, seed=seed), 0, np.inf)
        guides = np.array(self._mi.render(loaded, sensor=self._sensor(view, self._size_px, CENTRE), integrator=self._guides, spp=1))
        albedo, normal = _clean(guides[..., -6:-3], 0, 1), _clean(guides[..., -3:], -1, 1)
        return np.asarray(self._denoise(light[..., :3].copy(), albedo=albedo, normal=normal, hdr=True))

    def _sensor(self, view, size_px, sampler):
        eye, forward = np.array(view.eye), np.array(view.forward)
        place = self._mi.ScalarTransform4f().look_at(origin=eye.tolist(), target=(eye + forward).tolist(), up=list(map(float, view.up)))
        film = {"type": "hdrfilm", "width": size_px, "height": size_px, "pixel_format": "rgb", "rfilter": {"type": "box"}}
        return self._mi.load_dict(
            {
                "type": "perspective",
                "fov": view.fov,
                "near_clip": NEAR_CLIP_M,
                "far_clip": FAR_CLIP_M,
                "to_world": place,
                "film": film,
                "sampler": sampler,
            }
        )

    def _bsdf(self, material):
        if material.texture is not None:
            color = {"type": "bitmap", "bitmap": self._mi.Bitmap((material.texture * ALBEDO_LIMIT).astype(np.uint8))}
        else:
            color = {"type": "rgb", "value": [max(0.02, c) ** 2.2 * ALBEDO_LIMIT for c in material.color]}
        gloss = {"type": "principled", "base_color": color, "roughness": material.roughness, "specular": material.specular}
        return self._mi.load_dict({"type": "twosided", "nested": gloss})

    def _mesh(self, surface, bsdf):
        mi, uv = self._mi, surface.uv
        properties = mi.Properties()
        properties["bsdf"] = bsdf
        if surface.radiance is not None:
            radiance = np.asarray(surface.radiance, np.float32)
            value = {"type": "rgb", "value": radiance.tolist()}
            if radiance.ndim == 3:
                value = {"type": "bitmap", "bitmap": mi.Bitmap(radiance), "raw": True, "wrap_mode": "clamp"}
            properties["emitter"] = mi.load_dict({"type": "area", "radiance": value})
        elif surface.material.texture is not None:
            uv = uv / np.array(surface.material.size_m)
        return self._fill(properties, surface.vertices, surface.faces, uv, surface.normals)

    def _fill(self, properties, vertices, faces, uv, normals):
        smooth = normals is not None
        mesh = self._mi.Mesh("m", len(vertices), len(faces), has_vertex_normals=smooth, has_vertex_texcoords=True, props=properties)
        values = self._mi.traverse(mesh)
        values["vertex_positions"] = vertices.astype(np.float32).ravel()
        values["faces"] = faces.astype(np.uint32).ravel()
        values["vertex_texcoords"] = (uv * [1, -1] + [0, 1]).astype(np.float32).ravel()  # mitsuba's v runs down from the top row
        if smooth:
            values["vertex_normals"] = normals.astype(np.float32).ravel()
        values.update()
        return mesh

    def _model(self, piece, r):
        """Meshes of a catalogue model at its place; plain colours are tinted at times."""
        parts = self._catalogue.parts(piece.name)
        low = np.min([part.vertices.min(0) for part in parts], 0)
        high = np.max([part.vertices.max(0) for part in parts], 0)
        scale = np.array(piece.size) / np.maximum(high - low, 1e-9)
        base = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
        turn, place = rotation(piece.degrees), np.array([piece.x, piece.y, piece.z])
        tint = r.uniform(0.35, 1.25, 3) if r.random() < 0.4 else np.ones(3)
        gray = r.random() < 0.25
        meshes = []
        for part in parts:
            properties = self._mi.Properties()
            properties["bsdf"] = self._part_bsdf(piece.name, part, tint, gray)
            normals = None
            if part.normals is not None:
                normals = (part.normals / scale) @ turn.T
                normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
            vertices = ((part.vertices - base) * scale) @ turn.T + place
            meshes.append(self._fill(properties, vertices, part.faces, part.uv, normals))
        return meshes

    def _part_bsdf(self, name, part, tint, gray):
        picture = self._catalogue.texture(name, part.texture) if part.texture else None
        if picture is not None:
            color = {"type": "bitmap", "bitmap": self._mi.Bitmap((picture * ALBEDO_LIMIT).astype(np.uint8))}
        else:
            kd = np.full(3, np.mean(part.color)) if gray else np.clip(np.array(part.color) * tint, 0, 1)
            color = {"type": "rgb", "value": [max(0.02, float(c)) ** 2.2 * ALBEDO_LIMIT for c in kd]}
        roughness = float(np.clip(1 - part.gloss / 250, 0.2, 0.9))
        gloss = {"type": "principled", "base_color": color, "roughness": roughness, "specular": 0.3}
        return self._mi.load_dict({"type": "twosided", "nested": gloss})


def _clean(layers, low, high):
    """Float32 without NaN (a shading normal of zero length gives some) and within limits, as the denoiser wants it."""
    return np.ascontiguousarray(np.clip(np.nan_to_num(np.array(layers), posinf=0.0, neginf=0.0), low, high), dtype=np.float32)
