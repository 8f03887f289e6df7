"""Movies: one, those like it, and those by title."""

from movierec_engine.api.endpoints import Answer, Topic
from movierec_engine.api.movies import MovieService
from movierec_engine.api.requests import MovieRequest, SearchRequest, SimilarRequest


def movies(service: MovieService) -> Topic:
    topic = Topic("movies")

    @topic.endpoint("/api/similar/<item_id>", SimilarRequest, schema="SimilarMovies")
    def similar(asked: SimilarRequest) -> Answer:
        """The movies most similar to one; by genres and years to one that no model knows."""
        return service.similar(asked)

    @topic.endpoint("/api/movie/<movie_id>", MovieRequest, schema="MovieDetails")
    def movie(asked: MovieRequest) -> Answer:
        """A movie's title, year and genres, whether models know it, and how many interactions they were trained on."""
        return service.movie(asked.movie_id)

    @topic.endpoint("/api/search", SearchRequest, schema="FoundMovies")
    def search(asked: SearchRequest) -> Answer:
        """Movies by title: found exactly first, then by the beginning, by words, and by words with typos."""
        return service.search(asked)

    return topic
