"""Heads on the features of a frozen network, which take a second or less: the ridge probe, logistic regression, Head2Toe.

Each is a function of the arrays by cut and the classes of the training images, and of the arrays by cut of the tests; it returns
the classes that it predicts.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def width(arrays, name):
    """Of five equal parts, the mean over pixels and four quarters, the width of one; a dense layer has no quarters."""
    return arrays[name].shape[1] // (1 if name.startswith("hidden") else 5)


def last(arrays):
    """What the network's own output layer reads."""
    if "block4_conv2" in arrays or "hidden3" in arrays:
        return arrays[list(arrays)[-1]]
    name = list(arrays)[-1]
    return arrays[name][:, : width(arrays, name)]


def ridge_probe(train, y, test):
    """Ridge regression of one-hot classes on standardised last features, with the penalty of the least leave-one-out squared error:
    the probe of `frostline depth`."""
    x, z = last(train), last(test)
    mean, deviation = x.mean(0), x.std(0)
    used = deviation > 1e-6 * deviation.max()
    x, z = ((part[:, used] - mean[used]) / deviation[used] for part in (x, z))
    targets = np.eye(y.max() + 1)[y]
    centre = targets.mean(0)
    kernel = (x @ x.T).astype(np.float64)
    s, u = np.linalg.eigh(kernel)
    projected, best = u.T @ (targets - centre), (np.inf, None)
    for penalty in np.trace(kernel) / len(x) * 10.0 ** np.arange(-4, 2.1, 0.25):
        shrink = np.maximum(s, 0) / (np.maximum(s, 0) + penalty)
        leverage = 1 / len(x) + (u**2) @ shrink
        error = np.mean(((targets - centre - u @ (shrink[:, None] * projected)) / (1 - leverage)[:, None]) ** 2)
        best = min(best, (error, penalty))
    weights = x.T @ (u @ (projected / (np.maximum(s, 0) + best[1])[:, None]))
    return (z @ weights + centre).argmax(1)


def logistic(train, y, test):
    """scikit-learn's LogisticRegression with its own defaults, on the last features as they are."""
    return LogisticRegression(max_iter=1000).fit(last(train), y).predict(last(test))


def logistic_standardised(train, y, test):
    """The same behind StandardScaler."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(last(train), y).predict(last(test))


# Head2Toe: shares of the features that are kept, the regression's C, the strength of the group lasso as a share of the least
# that drops all features, and its steps.
SHARES, STRENGTHS, LASSO, STEPS = (0.01, 0.03, 0.1, 0.3, 1.0), (1.0, 10.0, 100.0), 0.03, 100


def relevance(x, y):
    """The norm of each feature's weights in multinomial regression with a group lasso over features, by FISTA."""
    n, d = x.shape
    targets = np.eye(y.max() + 1, dtype=np.float32)[y]
    weights = previous = np.zeros((d, targets.shape[1]), np.float32)
    # the gradient's Lipschitz constant: half the largest eigenvalue of the covariance
    step = 1 / (0.5 * np.linalg.eigvalsh(x @ x.T / n)[-1])
    gradient_at = lambda w: x.T @ (softmax(x @ w + np.log(targets.mean(0))) - targets) / n
    strength, momentum = LASSO * np.linalg.norm(gradient_at(weights), axis=1).max(), 1.0
    point = weights
    for _ in range(STEPS):
        moved = point - step * gradient_at(point)
        norms = np.linalg.norm(moved, axis=1, keepdims=True)
        weights = moved * np.maximum(0, 1 - step * strength / np.maximum(norms, 1e-12))
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        point = weights + (momentum - 1) / following * (weights - previous)
        previous, momentum = weights, following
    # features that the lasso drops are ranked by the gradient at its solution
    return np.linalg.norm(weights, axis=1) + 1e-6 * np.linalg.norm(gradient_at(weights), axis=1)


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def head2toe(train, y, test):
    """Head2Toe (Evci et al. 2022), compact: the features of all block ends, pooled to 2x2, each cut's scaled to a mean norm of
    one; features ranked by a group lasso; a share of them kept, chosen with the penalty of the logistic regression on them by five folds.
    The paper trains both steps by SGD, reads every layer, and chooses among more settings."""

    def joined(arrays):
        grid = lambda name: arrays[name][:, 0 if name.startswith("hidden") else width(arrays, name) :]
        return [grid(name) for name in arrays]

    scales = [np.linalg.norm(array, axis=1).mean() for array in joined(train)]
    x, z = (np.concatenate([array / scale for array, scale in zip(joined(part), scales)], 1) for part in (train, test))
    # a common scale: inner products of about one
    scale = np.sqrt((x**2).sum(1).mean())
    centre = x.mean(0)
    x, z = (((part - centre) / scale).astype(np.float32) for part in (x, z))
    folds = list(StratifiedKFold(min(5, np.bincount(y).min()), shuffle=True, random_state=0).split(x, y))
    kept_of = lambda rank, share: rank[: max(1, int(share * len(rank)))]
    right = dict.fromkeys([(share, c) for share in SHARES for c in STRENGTHS], 0)
    for fit, held_out in folds:
        rank = np.argsort(-relevance(x[fit], y[fit]))
        for share in SHARES:
            own, other = in_their_span(x[np.ix_(fit, kept_of(rank, share))], x[np.ix_(held_out, kept_of(rank, share))])
            for c in STRENGTHS:
                right[share, c] += (regression(c).fit(own, y[fit]).predict(other) == y[held_out]).sum()
    share, c = max(right, key=right.get)
    kept = kept_of(np.argsort(-relevance(x, y)), share)
    own, other = in_their_span(x[:, kept], z[:, kept])
    return regression(c).fit(own, y).predict(other)


def regression(c):
    return LogisticRegression(C=c, max_iter=300, tol=1e-3)


def in_their_span(x, z):
    """Coordinates of the same inner products, as many as there are training images where these are fewer than features: a
    regression with a squared penalty is the same on them."""
    if x.shape[1] <= len(x):
        return x, z
    s, u = np.linalg.eigh((x @ x.T).astype(np.float64))
    s, u = s[s > 1e-6 * s[-1]], u[:, s > 1e-6 * s[-1]]
    return u * np.sqrt(s), (z @ x.T) @ (u / np.sqrt(s))


HEADS = {
    "ridge probe": ridge_probe,
    "logistic regression": logistic,
    "standardised logistic regression": logistic_standardised,
    "Head2Toe": head2toe,
}
