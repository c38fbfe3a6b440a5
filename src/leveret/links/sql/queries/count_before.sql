SELECT
  (SELECT count(*) FROM ready
   WHERE suspect = :suspect AND queue = :queue AND (level < :level OR (level = :level AND seq < :seq)))
  + (SELECT count(*) FROM messages
     WHERE seq > (SELECT sorted FROM fleet) AND queue = :queue AND NOT :suspect
       AND (level < :level OR (level = :level AND seq < :seq)))
