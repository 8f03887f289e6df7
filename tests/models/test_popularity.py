import numpy as np

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.models import Popularity
from worlds import interactions_of


def test_items_are_scored_by_their_train_interactions() -> None:
    train = interactions_of(np.array([(0, 1), (1, 1), (1, 2)]), IdMap(np.arange(2)), IdMap(np.arange(3)))
    model = Popularity()
    model.fit(Dataset(train))
    users = np.array([0, 1])
    assert model.score_users(users).tolist() == [[0, 2, 1], [0, 2, 1]]
    assert (model.query_vectors(users) @ model.item_vectors().T).tolist() == [[0, 2, 1], [0, 2, 1]]
    assert model.similarity_vectors().toarray().tolist() == [[0, 0], [1, 1], [0, 1]], "who has each item"
