"""People: what is known of a user, what they say, and what a newcomer is asked."""

from movierec_engine.api.endpoints import Answer, Topic
from movierec_engine.api.keys import ADMIN, READ, WRITE
from movierec_engine.api.people import People
from movierec_engine.api.requests import EraseRequest, FeedbackRequest, InterviewRequest, UndoRequest, UserRequest


def people(service: People) -> Topic:
    topic = Topic("people")

    @topic.endpoint("/api/users/<user_id>", UserRequest, schema="User", scope=READ)
    def user(asked: UserRequest) -> Answer:
        """A user's history, live feedback, and taste beside everybody's."""
        return service.user(asked)

    @topic.endpoint("/api/users/<user_id>", EraseRequest, methods=("DELETE",), schema="Erased", scope=ADMIN)
    def erase(asked: EraseRequest) -> Answer:
        """Erase a user's feedback and stop personalising at once; later trainings leave out the user's past."""
        return service.erase(asked.user_id)

    @topic.endpoint("/api/feedback", FeedbackRequest, methods=("POST",), schema="Feedback", scope=WRITE)
    def feedback(asked: FeedbackRequest) -> Answer:
        """Record what people did with movies, all or none and exactly once; on disk when this answers."""
        return service.record(asked)

    @topic.endpoint("/api/feedback", UndoRequest, methods=("DELETE",), schema="Undone", scope=WRITE)
    def undo_feedback(asked: UndoRequest) -> Answer:
        """Take feedback back, so that a dismissed movie may be recommended again: an event, or a kind of a movie."""
        return service.undo(asked)

    @topic.endpoint("/api/interview", InterviewRequest, schema="Interview")
    def interview(asked: InterviewRequest) -> Answer:
        """The movies to ask a newcomer about, whose answers are a history for /api/recommend."""
        return service.interview(asked)

    return topic
