"""From the parameters of a body to bone lengths and thickness in metres."""

from dataclasses import dataclass

from bodyworld.render.identity import BodyIdentity


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """Bone lengths and thickness of one person, in metres."""

    height: float
    head: float
    neck: float
    torso: float
    shoulder_half: float
    hip_half: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shin: float
    ankle: float
    foot: float
    girth: float
    """Factor of the thickness of flesh, 1 for the average (no length)."""
    face_half: float
    waist_half: float
    chest_half: float
    pelvis_half: float
    chest_depth: float
    belly_depth: float
    seat_depth: float


def measure(identity: BodyIdentity) -> Proportions:
    """The proportions of a person, metres."""
    h = identity.height_m
    head, neck, leg = identity.head_fraction * h, identity.neck_fraction * h, identity.leg_fraction * h
    head = 0.5 * head + 0.5 * identity.head_fraction * 1.70
    ankle = 0.042 * h
    arm = identity.arm_fraction * h
    girth = 0.74 + 0.72 * identity.build**1.2
    is_man = identity.sex == "man"
    shoulder_half = identity.shoulder_fraction * h * 0.5 + 0.012 * (girth - 1.0) * 2
    pelvis_half = identity.hip_fraction * h * 0.5 * (0.80 + 0.32 * girth)
    chest_half = shoulder_half * (0.74 if is_man else 0.69) * (0.82 + 0.2 * girth)
    waist_share = 0.70 + 0.2 * identity.waist + (0.08 if is_man else -0.03) + 0.36 * max(girth - 0.92, 0.0)
    return Proportions(
        height=h,
        head=head,
        neck=neck,
        torso=h - leg - head - neck,
        shoulder_half=shoulder_half,
        hip_half=identity.hip_fraction * h * 0.27 * (0.9 + 0.12 * girth),
        upper_arm=arm * identity.upper_arm_fraction,
        forearm=arm * (1.0 - identity.upper_arm_fraction),
        hand=0.103 * h,
        thigh=(leg - ankle) * identity.upper_leg_fraction,
        shin=(leg - ankle) * (1.0 - identity.upper_leg_fraction),
        ankle=ankle,
        foot=0.148 * h,
        girth=girth,
        face_half=head * (0.325 + 0.062 * identity.face_width + 0.012 * (girth - 1.0)),
        waist_half=0.5 * (chest_half + pelvis_half) * waist_share,
        chest_half=chest_half,
        pelvis_half=pelvis_half,
        chest_depth=0.062 * h * (0.85 + 0.25 * girth) + 0.012 * identity.chest,
        belly_depth=0.052 * h * (0.62 + 0.62 * max(girth - 0.35, 0.0)),
        seat_depth=0.062 * h * (0.75 + 0.35 * girth),
    )


def neck_half_m(identity: BodyIdentity, size: Proportions) -> float:
    """Half the width of the neck, metres."""
    return size.face_half * (0.70 if identity.sex == "man" else 0.58) * (0.86 + 0.14 * size.girth)
