INSERT INTO claims (seq, session, number)
SELECT seq, :session, :number FROM ready WHERE suspect = :suspect AND queue = :queue AND level = :level AND seq <= :last
