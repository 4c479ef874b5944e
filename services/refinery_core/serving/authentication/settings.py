"""The settings of a service that say how its callers show who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from refinery_core.settings import CannotStart, setting

Auth = Literal["none", "tls", "jwt", "tls,jwt", "jwt,tls"]


@dataclass(frozen=True)
class AuthenticationSettings:
    """The settings of authentication; lists have commas between."""

    auth: Auth = setting("how callers show who they are: none, tls, jwt, or tls,jwt for either", "none")
    jwt_issuer: str | None = setting("the issuers of tokens, as 'iss' says them", None)
    jwt_audience: str | None = setting("for whom tokens have to be, as 'aud' says it; any of them", None)
    jwt_jwks: str | None = setting("the keys of each issuer, in the same order: files, or URLs", None)
    jwt_ca: str | None = setting("file: whom to trust where keys are fetched, in PEM, and nobody else", None)
    jwt_groups_claim: str | None = setting("the claim that lists the groups of a caller", None)
    jwt_refresh_seconds: float = setting("how often keys are fetched from URLs", 300.0, at_least=1)
    jwt_old_keys_seconds: float = setting(
        "how long keys hold that are published no more", 3_600.0, at_least=0
    )

    @property
    def ways(self) -> frozenset[str]:
        """`tls`, `jwt`, both, or nothing."""
        return frozenset(self.auth.split(",")) - {"none"}


@dataclass(frozen=True)
class TokenRules:
    """The settings of tokens, read and found complete."""

    issuers: dict[str, str]
    """Each with the place of its keys."""
    audiences: tuple[str, ...]


def token_rules(settings: AuthenticationSettings) -> TokenRules:
    """
    Read the settings of tokens.

    Raises:
        CannotStart: one is missing or cannot be, so that somebody might get in who should not.
    """
    needed = {
        "REFINERY_JWT_ISSUER": settings.jwt_issuer,
        "REFINERY_JWT_AUDIENCE": settings.jwt_audience,
        "REFINERY_JWT_JWKS": settings.jwt_jwks,
    }
    missing = [name for name, value in needed.items() if not _listed(value)]
    if missing:
        raise CannotStart(f"REFINERY_AUTH is {settings.auth}: set {', '.join(missing)} too.")
    issuers, places = _listed(settings.jwt_issuer), _listed(settings.jwt_jwks)
    if len(issuers) != len(places) or len(set(issuers)) != len(issuers):
        raise CannotStart(
            "REFINERY_JWT_JWKS has to name one place of keys for each issuer of REFINERY_JWT_ISSUER, "
            f"in the same order, and no issuer twice; they are {len(places)} and {len(issuers)}."
        )
    for issuer in issuers:
        if "#" in issuer or "*" in issuer or not issuer.isprintable() or " " in issuer:
            raise CannotStart(f"REFINERY_JWT_ISSUER: '{issuer}' may not contain '#', '*' or spaces.")
    return TokenRules(dict(zip(issuers, places, strict=True)), tuple(_listed(settings.jwt_audience)))


def refuse_unused(settings: AuthenticationSettings) -> None:
    """
    Refuse settings of tokens where no tokens are asked for: their author believes that they are.

    Raises:
        CannotStart: there are some.
    """
    texts = ("jwt_issuer", "jwt_audience", "jwt_jwks", "jwt_ca", "jwt_groups_claim")
    for name in texts:
        if getattr(settings, name) is not None:
            raise CannotStart(
                f"REFINERY_{name.upper()} is set, but REFINERY_AUTH is {settings.auth}, so that no token is "
                "looked at; set REFINERY_AUTH to jwt or tls,jwt."
            )


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
