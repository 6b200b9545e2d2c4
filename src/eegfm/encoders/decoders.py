"""Token decoders: from encoded vectors to predictions for single tokens. Their weights belong to the objective."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from eegfm.encoders.tokens import Tokens, take


class TokenDecoder(nn.Module, ABC):
    """Base of all decoders: one set of values for each token that is asked for."""

    @abstractmethod
    def forward(self, encoded: Tensor, tokens: Tokens, index: Tensor) -> Tensor:
        """Predict the values of some tokens.

        Args:
            encoded: Result of ``Encoder.encode`` for all tokens.
            tokens: Places of all tokens; their content is not to be looked at.
            index: (B, M) tokens that are asked for.

        Returns:
            (B, M, K).
        """


class LinearDecoder(TokenDecoder):
    """A norm and a projection of each token's own encoded vector.

    Args:
        d_model: Width D.
        n_values: Values K.
    """

    def __init__(self, d_model: int, n_values: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, n_values))

    def forward(self, encoded: Tensor, tokens: Tokens, index: Tensor) -> Tensor:
        """Project the tokens asked for; see the base class."""
        predicted: Tensor = self.network(take(encoded, index))
        return predicted
